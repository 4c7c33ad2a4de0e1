//! Secrets in a script: opaque. A script can see whether there is one; reading it in any way stops the run, and no
//! `catch` brings that back. Natives take a secret's name from the tag's parameters, where no script can change it.

use rhai::{Dynamic, Engine, NativeCallContext};

use super::cage::{self, Stop};

/// A secret as a script holds it: without its value, and without its name.
#[derive(Clone, Copy, Debug)]
pub struct Secret;

pub fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Secret>("Secret");
    for name in ["to_string", "to_debug", "print", "debug"] {
        // An error would not do: the engine writes the type's name in place of a text that fails.
        engine.register_fn(name, |context: NativeCallContext<'_>, _: &mut Secret| {
            stop(&context);
            String::new()
        });
    }
    for name in ["==", "!=", "<", "<=", ">", ">="] {
        engine
            .register_fn(name, |context: NativeCallContext<'_>, _: Secret, _: Dynamic| stop(&context))
            .register_fn(name, |context: NativeCallContext<'_>, _: Dynamic, _: Secret| stop(&context))
            .register_fn(name, |context: NativeCallContext<'_>, _: Secret, _: Secret| stop(&context));
    }
    // Whether there is one at all is no secret.
    engine
        .register_fn("==", |_: Secret, (): ()| false)
        .register_fn("!=", |_: Secret, (): ()| true)
        .register_fn("==", |(): (), _: Secret| false)
        .register_fn("!=", |(): (), _: Secret| true);
}

fn stop(context: &NativeCallContext<'_>) -> bool {
    cage::stop(Stop::Secret, context.call_position());
    false
}
