//! Who listens where, and how a text gets to them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::mpsc;

/// What a connected socket is told to do.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    /// Pass a text on.
    Text(String),
    /// Pass bytes on.
    #[cfg_attr(
        not(feature = "faults"),
        expect(dead_code, reason = "no honest server sends bytes")
    )]
    Binary(Vec<u8>),
    /// Part.
    End(Ending),
}

/// How the server ends a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With a close frame of this code: 1012 is "service restart".
    Close(u16),
    /// By closing the connection without a close frame.
    Silent,
    /// By resetting the connection.
    Reset,
}

/// The table of channels. Any name is a channel as soon as somebody listens.
#[derive(Clone, Debug, Default)]
pub(crate) struct Channels(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    next: u64,
    members: HashMap<String, Vec<(u64, mpsc::UnboundedSender<Order>)>>,
}

/// A socket's place at a channel, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    channels: Channels,
    channel: String,
    number: u64,
    pub(crate) orders: mpsc::UnboundedReceiver<Order>,
}

impl Channels {
    pub(crate) fn join(&self, channel: &str) -> Seat {
        let (sender, orders) = mpsc::unbounded_channel();
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.next += 1;
        let number = table.next;
        table
            .members
            .entry(channel.to_owned())
            .or_default()
            .push((number, sender));
        Seat {
            channels: self.clone(),
            channel: channel.to_owned(),
            number,
            orders,
        }
    }

    /// How many sockets are connected to a channel.
    pub(crate) fn listeners(&self, channel: &str) -> usize {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.members.get(channel).map_or(0, Vec::len)
    }

    /// Gives an order to all sockets of a channel; says how many there are.
    pub(crate) fn send(&self, channel: &str, order: &Order) -> usize {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let members = table.members.get(channel).map_or(&[][..], Vec::as_slice);
        members
            .iter()
            .filter(|(_, member)| member.send(order.clone()).is_ok())
            .count()
    }

    /// Gives an order to every socket of every channel.
    pub(crate) fn send_all(&self, order: &Order) -> usize {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table
            .members
            .values()
            .flatten()
            .filter(|(_, member)| member.send(order.clone()).is_ok())
            .count()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut table = self.channels.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(members) = table.members.get_mut(&self.channel) {
            members.retain(|(number, _)| *number != self.number);
            if members.is_empty() {
                table.members.remove(&self.channel);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_reaches_everyone_at_the_channel_and_nobody_else() {
        let channels = Channels::default();
        let (mut first, mut second) = (channels.join("shop"), channels.join("shop"));
        let mut stranger = channels.join("elsewhere");
        assert_eq!(channels.send("shop", &Order::Text("paid".into())), 2);
        assert!(matches!(first.orders.try_recv(), Ok(Order::Text(text)) if text == "paid"));
        assert!(second.orders.try_recv().is_ok());
        assert!(stranger.orders.try_recv().is_err());
    }

    #[test]
    fn who_leaves_is_no_longer_counted() {
        let channels = Channels::default();
        let seat = channels.join("shop");
        assert_eq!(channels.listeners("shop"), 1);
        drop(seat);
        assert_eq!(channels.listeners("shop"), 0);
    }
}
