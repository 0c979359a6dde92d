//! Answers in the dialect `gemini`: whatever comes and however it is cut, a client of OpenAI's can read what comes out.
//!
//! Input: one byte with the number of cuts, two bytes for each, and the answer.
#![no_main]

#[path = "../dialect.rs"]
mod dialect;

libfuzzer_sys::fuzz_target!(|input: &[u8]| dialect::run("gemini", input));
