pub mod answer;
pub mod client;
pub mod clock;
pub mod openai;
pub mod queue;
pub mod secrets;
pub mod status;
