mod notes;
mod session;
