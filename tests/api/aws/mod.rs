//! The AWS dialect over the real router: golden answers, rules, states, pages, hostile input.

mod calls;
mod client;
mod golden;
mod health;
mod hostile;
mod rules;
