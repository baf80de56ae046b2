//! The invocations in flight.

use std::collections::{BTreeMap, BTreeSet};

use super::super::runtime::Head;
use super::timeouts::Timeouts;
use crate::{Delivery, Echo, Rejection, RequestId, Ticket, Timestamp};

/// One invocation in flight.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct InFlight {
    pub(super) delivery: Delivery,
    pub(super) delivered: Timestamp,
    /// The head of its response, where that was taken and the body was not.
    pub(super) head: Option<Head>,
}

/// The invocations in flight, by id; and what is remembered of those that no longer are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::machine) struct Invocations {
    in_flight: BTreeMap<RequestId, InFlight>,
    /// The earliest first.
    deadlines: BTreeSet<(Timestamp, RequestId)>,
    /// Whose body is on its way, by the ticket of its head: until the body is there, whatever becomes of the invocation.
    heads: BTreeMap<Ticket, RequestId>,
    timeouts: Timeouts,
}

impl Invocations {
    pub(super) fn len(&self) -> usize {
        self.in_flight.len()
    }

    pub(super) fn contains(&self, request_id: RequestId) -> bool {
        self.in_flight.contains_key(&request_id)
    }

    pub(super) fn begin(&mut self, delivered: Timestamp, delivery: Delivery) {
        let request_id = delivery.invocation.request_id;
        self.deadlines.insert((delivery.deadline, request_id));
        let invocation = InFlight {
            delivery,
            delivered,
            head: None,
        };
        self.in_flight.insert(request_id, invocation);
    }

    /// When the next one times out.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|&(deadline, _)| deadline)
    }

    /// Takes out one that has timed out by `now`. Its answer is too late from now on.
    pub(super) fn take_timed_out(&mut self, now: Timestamp) -> Option<InFlight> {
        let &(deadline, request_id) = self.deadlines.first()?;
        if deadline > now {
            return None;
        }
        self.timeouts.remember(request_id);
        self.take(request_id)
    }

    /// Takes out any.
    pub(super) fn take_first(&mut self) -> Option<InFlight> {
        let &request_id = self.in_flight.keys().next()?;
        self.take(request_id)
    }

    fn take(&mut self, request_id: RequestId) -> Option<InFlight> {
        let invocation = self.in_flight.remove(&request_id)?;
        self.deadlines.remove(&(invocation.delivery.deadline, request_id));
        Some(invocation)
    }

    /// Takes out the one that is answered whole, with a response or an error.
    ///
    /// An error may overtake a response whose body is on its way, another response may not.
    pub(super) fn answered(&mut self, given: Option<RequestId>, may_overtake: bool) -> Result<InFlight, Rejection> {
        let request_id = given.ok_or(Rejection::InvalidRequestId)?;
        match self.in_flight.get(&request_id) {
            Some(invocation) if invocation.head.is_none() || may_overtake => {
                self.take(request_id).ok_or(Rejection::InvalidRequestId)
            }
            Some(_) => Err(Rejection::InvalidRequestId),
            None => Err(self.late(request_id)),
        }
    }

    /// Takes the head of a response.
    pub(super) fn head(&mut self, given: Option<RequestId>, head: Head) -> Result<(), Rejection> {
        let request_id = given.ok_or(Rejection::InvalidRequestId)?;
        match self.in_flight.get_mut(&request_id) {
            Some(invocation) if invocation.head.is_none() => {
                self.heads.insert(head.ticket, request_id);
                invocation.head = Some(head);
                Ok(())
            }
            Some(_) => Err(Rejection::InvalidRequestId),
            None => Err(self.late(request_id)),
        }
    }

    /// Takes out the one whose response is complete, or cut short, by the ticket of its head.
    pub(super) fn body(&mut self, head: Ticket) -> Result<(InFlight, Head), Rejection> {
        let request_id = self.heads.remove(&head).ok_or(Rejection::InvalidRequestId)?;
        let awaited = self
            .in_flight
            .get_mut(&request_id)
            .and_then(|invocation| invocation.head.take_if(|awaited| awaited.ticket == head));
        match awaited {
            Some(head) => match self.take(request_id) {
                Some(invocation) => Ok((invocation, head)),
                None => Err(Rejection::InvalidRequestId),
            },
            None => Err(self.late(request_id)),
        }
    }

    /// Whether an answer says to be for the attempt that is in flight under its id. Of one to another id nothing is known.
    pub(super) fn fits(&self, given: Option<RequestId>, echo: Echo) -> bool {
        let in_flight = given.and_then(|request_id| self.in_flight.get(&request_id));
        in_flight.is_none_or(|in_flight| echo.fits(in_flight.delivery.invocation.invocation_id))
    }

    /// The refusal of an answer to an invocation that is not in flight.
    fn late(&mut self, request_id: RequestId) -> Rejection {
        if self.timeouts.forget(request_id) {
            Rejection::InvokeTimeout
        } else {
            Rejection::InvalidRequestId
        }
    }
}
