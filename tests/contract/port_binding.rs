//! Factor VII, port binding: web listens on PORT, on every interface, and on nothing else.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context as _, Result, bail, ensure};

use crate::case::{Case, Claim, Deserted, Starter};
use crate::patience::SOON;
use crate::variables::Variables;

pub const FACTOR: &str = "port-binding";

pub const CLAIMS: &[Claim] = &[
    Claim::new("two web processes serve on two ports at once", two_ports),
    Claim::new("web listens on PORT on every interface, and on nothing else", nothing_else),
    Claim::new("a port in use by another program: web exits non-zero, naming it", port_of_another),
    Claim::new(
        "a port in use by another web process: web exits non-zero, naming it",
        port_of_its_like,
    ),
    Claim::new(
        "a port in use, WEB_CONCURRENCY=2: web exits non-zero, naming it",
        port_in_use_by_several,
    ),
];

fn two_ports(case: &Case) -> Result<()> {
    let shop = case.shop()?;
    let another = shop.another_web()?;
    shop.web.client.get("/readyz")?.expect(200)?;
    another.client.get("/readyz")?.expect(200)?;
    another.process.end()
}

fn nothing_else(case: &Case) -> Result<()> {
    let shop = case.shop()?;
    shop.web.post_note("some traffic")?;
    let heard = shop.web.process.listening();
    ensure!(!heard.is_empty(), "no listening socket of web was found");
    let port = shop.stage.port;
    for address in &heard {
        ensure!(address.port() == port, "web listens on {address} besides its PORT {port}");
        ensure!(address.ip().is_unspecified(), "web listens on {address}, not on every interface");
    }
    Ok(())
}

fn port_of_another(case: &Case) -> Result<()> {
    let Deserted { variables, port, .. } = case.deserted()?;
    let _taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).context("take a port")?;
    expect_refusal(case, &variables, port)
}

fn port_of_its_like(case: &Case) -> Result<()> {
    let stage = &case.shop()?.stage;
    expect_refusal(case, &stage.variables, stage.port)?;
    case.shared()?.get("/livez")?.expect(200).map(|_| ())
}

fn port_in_use_by_several(case: &Case) -> Result<()> {
    let Deserted { variables, port, .. } = case.deserted()?;
    let _taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).context("take a port")?;
    expect_refusal(case, &variables.with("WEB_CONCURRENCY", &2), port)
}

fn expect_refusal(case: &Case, variables: &Variables, port: u16) -> Result<()> {
    let mut web = Starter::of(case)?.start("web", variables)?;
    let exit = web.wait_for_exit(SOON).with_context(|| format!("port {port} is in use"))?;
    if exit.code.is_none_or(|code| code == 0) {
        bail!("port {port} is in use, and web ended with {exit}");
    }
    let said = web.text();
    ensure!(said.contains(&port.to_string()), "web does not name the port {port} that is in use");
    Ok(())
}
