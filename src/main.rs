//! The program: everything is in the library.

/// Faster than the system's for many small values on several threads; counted, so that scripts are held to their share.
#[global_allocator]
static ALLOCATOR: tidegate::script::Counted<mimalloc::MiMalloc> = tidegate::script::Counted(mimalloc::MiMalloc);

fn main() -> std::process::ExitCode {
    // The allocator asks for huge pages. They made an idle server hold 27 MB and a busy one 64, not 19 and 35, and hits no
    // cheaper. Where the system does not know the call, it may not give such pages either.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    tidegate::cli::run()
}
