#[derive(clap::Subcommand, Debug)]
pub enum Deliveries {}
#[derive(clap::Args, Debug)]
pub struct Serve {}
impl Deliveries { pub(super) fn run(self, _: &super::Context) -> anyhow::Result<super::Exit> { unimplemented!() } }
impl Serve { pub(super) fn run(self, _: &super::Context) -> anyhow::Result<super::Exit> { unimplemented!() } }
