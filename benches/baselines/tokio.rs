//! tokio, one thread: a task per check in flight, `TcpSocket::connect`, close with RST.

use std::cell::Cell;
use std::rc::Rc;

/// Checks `count` addresses, [`super::IN_FLIGHT`] at a time.
pub fn run(port: u16, count: usize) -> usize {
    let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = ::tokio::task::LocalSet::new();
    local.block_on(&runtime, async move {
        let (next, connected) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let check = |next: Rc<Cell<usize>>, connected: Rc<Cell<usize>>| async move {
            while next.get() < count {
                let address = super::address(next.replace(next.get() + 1), port);
                let socket = ::tokio::net::TcpSocket::new_v4().unwrap();
                socket.set_zero_linger().unwrap();
                let stream = socket.connect(address).await;
                connected.set(connected.get() + usize::from(stream.is_ok()));
            }
        };
        let tasks: Vec<_> = (0..super::IN_FLIGHT)
            .map(|_| ::tokio::task::spawn_local(check(Rc::clone(&next), Rc::clone(&connected))))
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        connected.get()
    })
}
