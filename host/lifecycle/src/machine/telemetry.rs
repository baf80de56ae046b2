//! Subscriptions to telemetry: who may subscribe when, to what.

use std::sync::Arc;

use super::calls::nobody;
use super::crew::{Crew, Main};
use super::managed::{self, Managed};
use super::{Classic, Machine, State};
use crate::limits::MAX_SUBSCRIPTIONS;
use crate::telemetry::{Api, Schema};
use crate::{
    Answer, Destination, Effect, GivenIdentifier, InitType, PlatformEvent, Reach, Reading, Rejection, RequestedType,
    Subscribed, Subscription, SubscriptionBody, SubscriptionFault, SubscriptionId, SubscriptionState, TelemetryCall,
    Ticket,
};

impl Classic {
    pub(super) fn telemetry_call(
        &mut self,
        reading: Reading,
        mut state: State,
        ticket: Ticket,
        call: TelemetryCall,
    ) -> State {
        let answer = match &mut state {
            // The window closes with the end of the initialisation.
            State::Init(crew, _) => self.judge(reading, crew, true, call),
            State::Snapshot(crew)
            | State::Restore(crew, _)
            | State::Ready(crew)
            | State::Invoke(crew, _)
            | State::Shutdown(crew, _) => self.judge(reading, crew, false, call),
            State::Idle(_) => Err(nobody(call.identifier(), true)),
            State::Ended => Err(Rejection::Ended),
        };
        self.answer(ticket, answer);
        state
    }
}

impl Managed {
    pub(super) fn telemetry_call(
        &mut self,
        reading: Reading,
        mut state: managed::State,
        ticket: Ticket,
        call: TelemetryCall,
    ) -> managed::State {
        let answer = match &mut state {
            managed::State::Init(crew, _) => self.judge(reading, crew, true, call),
            managed::State::Serving(crew, _) | managed::State::Shutdown(crew, ..) => {
                self.judge(reading, crew, false, call)
            }
            managed::State::Idle => Err(nobody(call.identifier(), true)),
            managed::State::Ended => Err(Rejection::Ended),
        };
        self.answer(ticket, answer);
        state
    }
}

impl<S> Machine<S> {
    /// The answer to a call of one of this crew. `open` says whether it may subscribe.
    pub(super) fn judge<R: Main>(
        &mut self,
        reading: Reading,
        crew: &mut Crew<R>,
        open: bool,
        call: TelemetryCall,
    ) -> Result<Answer, Rejection> {
        let name = identify(crew, call.identifier())?;
        match call {
            TelemetryCall::Subscribe { api, reach, body, .. } => {
                let refuse = |fault| Rejection::Subscription { api, fault };
                // Source: that the closed window is told of before anything that is wrong with the body is assumed from
                // the emulator's interfaces, where the service that reads the body is not asked once it is closed.
                if !open {
                    return Err(refuse(SubscriptionFault::Closed));
                }
                let body = body.map_err(|message| refuse(SubscriptionFault::Deserialization { message }))?;
                self.subscribe(reading, name, api, reach, body).map_err(refuse)
            }
            TelemetryCall::Fetch { subscription, .. } => self
                .subscriptions
                .iter()
                .any(|known| {
                    known.id == subscription
                        && known.name == name
                        && known.body.destination == Destination::HostFunctions
                })
                .then_some(Answer::Fetch)
                .ok_or(Rejection::UnknownSubscription),
        }
    }

    fn subscribe(
        &mut self,
        reading: Reading,
        name: Arc<str>,
        api: Api,
        reach: Reach,
        body: SubscriptionBody,
    ) -> Result<Answer, SubscriptionFault> {
        let endpoint = body.check(api)?;
        if matches!(self.config.initialization_type, InitType::LambdaManagedInstances { .. })
            && body.schema_version != Schema::Telemetry20250129
        {
            return Err(SubscriptionFault::OlderSchema);
        }
        let of_this_name = |subscription: &&Arc<Subscription>| subscription.name == name;
        if self
            .subscriptions
            .iter()
            .filter(of_this_name)
            .any(|subscription| subscription.api != api)
        {
            return Err(SubscriptionFault::OtherApi { name });
        }
        let known = self
            .subscriptions
            .iter()
            .filter(of_this_name)
            .find(|subscription| subscription.reach == reach && subscription.body == body);
        let (id, is_new) = match known {
            Some(known) => (known.id, false),
            None if self.subscriptions.len() >= MAX_SUBSCRIPTIONS => return Err(SubscriptionFault::TooMany),
            None => {
                let id = SubscriptionId(u32::try_from(self.subscriptions.len()).unwrap_or(u32::MAX));
                (id, true)
            }
        };
        let types = body
            .types
            .iter()
            .filter_map(|requested| match requested {
                RequestedType::Stream(stream) => Some(*stream),
                RequestedType::Single => None,
            })
            .collect();
        if is_new {
            let subscription = Arc::new(Subscription {
                id,
                name: Arc::clone(&name),
                api,
                reach,
                body,
                endpoint,
            });
            self.subscriptions.push(Arc::clone(&subscription));
            self.effects.push_back(Effect::Subscribe(subscription));
        } else {
            self.effects.push_back(Effect::Resubscribe(id));
        }
        let state = if is_new {
            SubscriptionState::Subscribed
        } else {
            SubscriptionState::AlreadySubscribed
        };
        self.event(
            reading.now,
            PlatformEvent::Subscription {
                api,
                name,
                state,
                types,
            },
        );
        Ok(Answer::Subscribed(Subscribed { id, is_new }))
    }
}

/// The name of the extension that calls.
///
/// Source: the emulator's `rapi/handler/runtimelogs.go`, whose message for an identifier that is nobody's names it.
fn identify<R: Main>(crew: &mut Crew<R>, given: GivenIdentifier) -> Result<Arc<str>, Rejection> {
    Ok(Arc::clone(&crew.identify(given, true)?.name))
}
