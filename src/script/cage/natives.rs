//! The natives of the engine that a cage cannot leave as they are, replaced. A native is asked nothing while it works:
//! what it does must be bounded by what it is given.

use rhai::{
    Array, Dynamic, Engine, EvalAltResult, FnPtr, ImmutableString, Map, NativeCallContext,
    packages::{
        ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage, BasicMathPackage,
        BasicStringPackage, LanguageCorePackage, LogicPackage, MoreStringPackage, Package,
    },
};

use super::{Fallible, MAX_TEXT};
use crate::script::value;

rhai::def_package! {
    /// The language, without time, modules, files or the debugger. One package: the engine looks through each of several.
    Language(_module): LanguageCorePackage, ArithmeticPackage, LogicPackage, BasicStringPackage, MoreStringPackage,
        BasicMathPackage, BasicIteratorPackage, BasicFnPackage, BasicArrayPackage, BasicMapPackage
    {}
}

pub fn register(engine: &mut Engine) {
    Language::new().register_into_engine(engine);
    // What is registered with the engine itself goes before its packages.
    register_sleep(engine);
    register_replace(engine);
    register_sort(engine);
    register_text(engine);
}

/// The engine's blocks the thread, and asks nobody.
fn register_sleep(engine: &mut Engine) {
    let refuse = || Fallible::<()>::Err("a script cannot sleep".into());
    engine.register_fn("sleep", move |_: i64| refuse()).register_fn("sleep", move |_: f64| refuse());
}

/// The engine's makes the whole text, gigabytes if need be, before it looks at its size.
fn register_replace(engine: &mut Engine) {
    type Text<'a> = &'a mut ImmutableString;
    engine
        .register_fn("replace", |text: Text<'_>, find: &str, with: &str| replace(text, find, with))
        .register_fn("replace", |text: Text<'_>, find: char, with: &str| {
            replace(text, find.encode_utf8(&mut [0; 4]), with)
        })
        .register_fn("replace", |text: Text<'_>, find: &str, with: char| {
            replace(text, find, with.encode_utf8(&mut [0; 4]))
        })
        .register_fn("replace", |text: Text<'_>, find: char, with: char| {
            replace(text, find.encode_utf8(&mut [0; 4]), with.encode_utf8(&mut [0; 4]))
        });
}

fn replace(text: &mut ImmutableString, find: &str, with: &str) -> Fallible<()> {
    let growth = with.len().saturating_sub(find.len()).saturating_mul(text.matches(find).count());
    if text.len().saturating_add(growth) > MAX_TEXT {
        return Err(format!("replace would make a text longer than {} KB", MAX_TEXT >> 10).into());
    }
    *text = text.replace(find, with).into();
    Ok(())
}

/// The engine's goes on when a comparer fails, and panics when a comparer contradicts itself.
fn register_sort(engine: &mut Engine) {
    for name in ["sort", "sort_by"] {
        engine.register_fn(name, |context: NativeCallContext<'_>, list: &mut Array, comparer: FnPtr| {
            *list = sorted(&context, list.clone(), &comparer)?;
            Fallible::Ok(())
        });
    }
    for name in ["order", "order_by"] {
        engine.register_fn(name, |context: NativeCallContext<'_>, list: &mut Array, comparer: FnPtr| {
            sorted(&context, list.clone(), &comparer)
        });
    }
    engine.register_fn("sort", |context: NativeCallContext<'_>, list: &mut Array, comparer: &str| {
        *list = sorted(&context, list.clone(), &FnPtr::new(comparer)?)?;
        Fallible::Ok(())
    });
}

/// A stable merge sort. The comparer gives a negative number or `true` where its first argument comes first.
fn sorted(context: &NativeCallContext<'_>, mut list: Array, comparer: &FnPtr) -> Fallible<Array> {
    if list.len() < 2 {
        return Ok(list);
    }
    let right = list.split_off(list.len() / 2);
    let mut left = sorted(context, list, comparer)?.into_iter().peekable();
    let mut right = sorted(context, right, comparer)?.into_iter().peekable();
    let mut merged = Array::with_capacity(left.len() + right.len());
    while let (Some(first), Some(second)) = (left.peek(), right.peek()) {
        // Equal elements keep their order: the right one goes first only if it has to.
        let right_first = comes_after(context, comparer, first, second)?;
        merged.extend(if right_first { right.next() } else { left.next() });
    }
    merged.extend(left);
    merged.extend(right);
    Ok(merged)
}

fn comes_after(context: &NativeCallContext<'_>, comparer: &FnPtr, a: &Dynamic, b: &Dynamic) -> Fallible<bool> {
    let answer: Dynamic = comparer.call_within_context(context, (a.clone(), b.clone()))?;
    match (answer.as_int(), answer.as_bool()) {
        (Ok(number), _) => Ok(number > 0),
        (_, Ok(a_first)) => Ok(!a_first),
        (Err(kind), Err(_)) => {
            Err(format!("a comparer gives a number, true or false, but this one gave a {kind}").into())
        }
    }
}

/// The engine's walk into a value as deep as it goes, and no error stops them.
fn register_text(engine: &mut Engine) {
    for name in ["to_string", "to_debug", "print", "debug"] {
        engine
            .register_fn(name, |context: NativeCallContext<'_>, list: &mut Array| {
                value::list_to_text(list, context.call_position())
            })
            .register_fn(name, |context: NativeCallContext<'_>, map: &mut Map| {
                value::map_to_text(map, context.call_position())
            });
    }
    engine.register_fn("to_json", |map: &mut Map| -> Result<String, Box<EvalAltResult>> {
        Ok(value::map_to_json(map)?.to_string())
    });
}
