//! The program: everything is in the library.

/// Faster than the system's for many small values on several threads; counted, so that scripts are held to their share.
#[global_allocator]
static ALLOCATOR: tidegate::script::Counted<mimalloc::MiMalloc> = tidegate::script::Counted(mimalloc::MiMalloc);

fn main() -> std::process::ExitCode {
    tidegate::cli::run()
}
