//! A relay between the clients of a server and the server, which can cut off one of them: what it and the server send
//! to each other is held back, and nobody is told. So a partition looks to both.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use crate::sockets;

/// A relay on a port of its own. It works until the test's process ends.
pub struct Relay {
    address: SocketAddr,
    wires: Arc<Wires>,
}

#[derive(Default)]
struct Wires {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The process that is cut off.
    outcast: Option<i32>,
    /// Whether nothing passes, by the client's port.
    held: BTreeMap<u16, bool>,
}

impl Relay {
    /// Begins to relay to this server, `host:port`.
    pub fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let relay = Self { address: listener.local_addr().expect("its address"), wires: Arc::default() };
        let (wires, server) = (relay.wires.clone(), server.to_string());
        thread::spawn(move || {
            for client in listener.incoming().filter_map(Result::ok) {
                let (wires, server) = (wires.clone(), server.clone());
                thread::spawn(move || relay_one(&client, &server, &wires));
            }
        });
        relay
    }

    /// What clients are to take for the server's address.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on nothing passes between this process and the server, on no connection, old or new.
    pub fn cut_off(&self, pid: i32) {
        let mut state = self.wires.lock();
        state.outcast = Some(pid);
        for (port, held) in &mut state.held {
            *held = sockets::has_port(pid, *port);
        }
    }

    /// All passes again, and first what was held back.
    pub fn heal(&self) {
        let mut state = self.wires.lock();
        state.outcast = None;
        state.held.values_mut().for_each(|held| *held = false);
        self.wires.changed.notify_all();
    }
}

impl Wires {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, client: u16) {
        let mut state = self.lock();
        let held = state.outcast.is_some_and(|pid| sockets::has_port(pid, client));
        state.held.insert(client, held);
    }

    /// Returns when something may pass.
    fn pass(&self, client: u16) {
        let held = |state: &mut State| state.held.get(&client) == Some(&true);
        drop(self.changed.wait_while(self.lock(), held));
    }
}

fn relay_one(client: &TcpStream, server: &str, wires: &Wires) {
    let Ok(port) = client.peer_addr().map(|address| address.port()) else { return };
    wires.open(port);
    wires.pass(port);
    // A client of a server that is not there is told so by the end of its connection.
    let Ok(server) = TcpStream::connect(server) else { return };
    thread::scope(|scope| {
        scope.spawn(|| pump(client, &server, || wires.pass(port)));
        pump(&server, client, || wires.pass(port));
    });
}

/// Hands on what comes, and the end.
fn pump(mut from: &TcpStream, mut to: &TcpStream, pass: impl Fn()) {
    let mut buffer = [0; 8192];
    let mut hand_on = || -> io::Result<bool> {
        let count = from.read(&mut buffer)?;
        pass();
        to.write_all(&buffer[..count])?;
        Ok(count > 0)
    };
    while hand_on().unwrap_or(false) {}
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A client that asks, and whether it is answered.
    fn is_answered(mut client: &TcpStream) -> bool {
        client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        client.write_all(b"?").unwrap();
        client.read_exact(&mut [0]).is_ok()
    }

    #[test]
    fn of_one_who_is_cut_off_nothing_passes_until_it_is_healed() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Relay::to(&server.local_addr().unwrap().to_string());
        thread::spawn(move || {
            for client in server.incoming().filter_map(Result::ok) {
                thread::spawn(move || io::copy(&mut &client, &mut &client));
            }
        });
        let connect = || TcpStream::connect(relay.address()).unwrap();
        let old = connect();
        assert!(is_answered(&old));
        relay.cut_off(1);
        assert!(is_answered(&old) && is_answered(&connect()), "another process");
        relay.cut_off(std::process::id() as i32);
        let new = connect();
        assert!(!is_answered(&old) && !is_answered(&new));
        relay.heal();
        assert!(is_answered(&old) && is_answered(&new) && is_answered(&connect()));
    }
}
