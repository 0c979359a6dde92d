//! The scanner: it accepts what `serde_json` accepts, finds the same values, and never panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use waypost::json::{Scanner, Wrong};

/// One value in UTF-8 and nothing else; where it lies.
fn whole(scanner: &mut Scanner<'_>) -> Result<std::ops::Range<usize>, Wrong> {
    let range = scanner.skip()?;
    scanner.end()?;
    scanner.utf8()?;
    Ok(range)
}

/// The same value, entered wherever it can be.
fn entered(scanner: &mut Scanner<'_>, depth: usize) -> Result<(), Wrong> {
    if depth > 0 && scanner.object() {
        while scanner.member()?.is_some() {
            entered(scanner, depth - 1)?;
        }
    } else if depth > 0 && scanner.array() {
        while scanner.element()? {
            entered(scanner, depth - 1)?;
        }
    } else {
        scanner.skip()?;
    }
    Ok(())
}

fuzz_target!(|input: &[u8]| {
    let theirs = serde_json::from_slice::<&RawValue>(input).map(|raw| raw.get().as_bytes());
    let mut scanner = Scanner::new(input);
    match whole(&mut scanner) {
        Ok(range) => assert_eq!(theirs.expect("refused by serde_json alone"), &input[range]),
        Err(wrong) => {
            assert!(theirs.is_err(), "{wrong:?}, but not for serde_json");
            let error = scanner.error(wrong);
            assert!(error.line > 0 && error.column > 0 && error.column <= input.len() + 1);
        }
    }
    let mut scanner = Scanner::new(input);
    let end = entered(&mut scanner, 16).and_then(|()| scanner.end());
    if end.is_ok() && scanner.utf8().is_ok() {
        assert!(serde_json::from_slice::<&RawValue>(input).is_ok());
    }
});
