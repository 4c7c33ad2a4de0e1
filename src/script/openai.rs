//! `openai::…` in a script: `OpenAI` Ads' shapes, from [`crate::openai`].

use rhai::Engine;

pub fn register(_engine: &mut Engine) {}
