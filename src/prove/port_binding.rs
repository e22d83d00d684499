//! Factor VII, port binding: web listens on PORT, on every interface, and on nothing else.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::case::Case;
use super::claim::{Claim, Need};
use super::probe::variables::Variables;
use super::subject::Kind;

pub const CLAIMS: &[Claim] = &[
    Claim::new("two web processes serve on two ports at once", two_ports)
        .hint("read the port from PORT"),
    Claim::new("web listens on PORT on every interface, and on nothing else", nothing_else)
        .hint("bind 0.0.0.0 (or ::), and that port alone"),
    Claim::new("a port in use by another program: web exits non-zero, naming it", port_of_another)
        .hint("let the error of the bind end the process, and say which port it was"),
    Claim::new(
        "a port in use by another web process: web exits non-zero, naming it",
        port_of_its_like,
    )
    .hint("bind without SO_REUSEPORT, and say in the error which port it was"),
    Claim::new(
        "a port in use, WEB_CONCURRENCY=2: web exits non-zero, naming it",
        port_in_use_by_several,
    )
    .needs(&[Need::Variable(Kind::Concurrency)])
    .hint("bind in the first process, before the others are started"),
];

/// How long a process may take to find its port in use.
const REFUSAL_LIMIT: Duration = Duration::from_secs(20);

fn two_ports(case: &Case) -> Result<()> {
    let shop = case.shop()?;
    let another = shop.another_web()?;
    shop.web.greet()?;
    another.greet()?;
    another.process.end()
}

fn nothing_else(case: &Case) -> Result<()> {
    let shop = case.shop()?;
    shop.web.greet()?;
    let heard = shop.web.process.listening();
    ensure!(!heard.is_empty(), "no listening socket of web was found");
    let port = shop.stage.port;
    for address in &heard {
        ensure!(address.port() == port, "web listens on {address} besides its PORT {port}");
        ensure!(address.ip().is_unspecified(), "web listens on {address}, not on every interface");
    }
    Ok(())
}

fn take_port(port: u16) -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).context("take a port")
}

fn port_of_another(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let _taken = take_port(stage.port)?;
    expect_refusal(case, &stage.variables, stage.port)
}

fn port_of_its_like(case: &Case) -> Result<()> {
    let shop = case.shop()?;
    expect_refusal(case, &shop.stage.variables, shop.stage.port)?;
    shop.web.greet().map(|_| ())
}

fn port_in_use_by_several(case: &Case) -> Result<()> {
    let stage = case.stage()?;
    let _taken = take_port(stage.port)?;
    let two = stage.variables.with(case.variable(Kind::Concurrency)?, &2);
    expect_refusal(case, &two, stage.port)
}

fn expect_refusal(case: &Case, variables: &Variables, port: u16) -> Result<()> {
    let mut web = case.shop()?.stage.starter.start("web", variables)?;
    let exit = web.wait_for_exit(REFUSAL_LIMIT).with_context(|| {
        let heard = web.listening();
        format!("port {port} is in use, and web stays (it listens on {heard:?})")
    })?;
    if exit.code.is_none_or(|code| code == 0) {
        bail!("port {port} is in use, and web ended with {exit}");
    }
    ensure!(
        web.text().contains(&port.to_string()),
        "web does not name the port {port} that is in use"
    );
    Ok(())
}
