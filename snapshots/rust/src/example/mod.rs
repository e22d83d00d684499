pub mod note;
pub mod notes;
pub mod session;
