//! The command line: one file per subcommand.

pub mod check;
pub mod in_force;
pub mod schema;
