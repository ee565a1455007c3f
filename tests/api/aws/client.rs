//! Asks the AWS dialect as AWS's clients do.

use crate::world::{Answer, World};
use ringcheck::config::{AwsConfig, Rules};

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) text: String,
}

/// Posts a form; `Version` need not be given.
pub(crate) async fn call(world: &World, form: &str) -> Reply {
    let answer = world.post("/", form).await;
    Reply::of(&answer)
}

/// As [`call`] for what must succeed.
pub(crate) async fn ok(world: &World, form: &str) -> Reply {
    let reply = call(world, form).await;
    assert_eq!(reply.status, 200, "{form}: {}", reply.text);
    reply
}

/// Status, code and message of what must fail.
pub(crate) async fn fails(world: &World, form: &str) -> (u16, String, String) {
    let reply = call(world, form).await;
    let shown: String = form.chars().take(300).collect();
    assert_ne!(reply.status, 200, "{shown}: {}", reply.text);
    reply.error()
}

impl Reply {
    pub(crate) fn of(answer: &Answer) -> Self {
        assert_eq!(answer.header("content-type"), Some("text/xml"), "{answer:?}");
        let id = answer.header("x-amzn-requestid").unwrap_or_default().to_owned();
        let reply = Self { status: answer.status, text: answer.text().to_owned() };
        assert_eq!(reply.one("RequestId"), id, "{}", reply.text);
        check_xml(&reply.text);
        reply
    }

    /// The texts of all elements called `name`.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let inner = |part: &str| part.split(&close).next().unwrap_or_default().to_owned();
        self.text.split(&open).skip(1).map(inner).collect()
    }

    /// The text of the only element called `name`.
    pub(crate) fn one(&self, name: &str) -> String {
        let mut all = self.all(name);
        assert_eq!(all.len(), 1, "{name} in {}", self.text);
        all.remove(0)
    }

    /// Status, code and message of an error.
    pub(crate) fn error(&self) -> (u16, String, String) {
        let kind = if self.status < 500 { "Sender" } else { "Receiver" };
        assert_eq!(self.one("Type"), kind, "{}", self.text);
        let message = self.one("Message");
        assert!(!message.contains(char::is_control), "{message:?}");
        let message = message.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        (self.status, self.one("Code"), message)
    }
}

/// A parser reads it to the end, and every element is closed.
fn check_xml(text: &str) {
    let mut reader = quick_xml::Reader::from_str(text);
    loop {
        match reader.read_event() {
            Ok(quick_xml::events::Event::Eof) => return,
            Ok(_) => {}
            Err(error) => panic!("{error} in {text}"),
        }
    }
}

/// `text` percent-encoded for a form.
pub(crate) fn encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let one = |b: u8| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(one).collect()
}

/// A world where `rules` hold for what the AWS dialect makes.
pub(crate) fn world_of(rules: Rules) -> World {
    World::with(AwsConfig { rules, ..AwsConfig::default() }, 6_000)
}

/// Makes a group with these further members, and gives its ARN, encoded.
pub(crate) async fn group(world: &World, name: &str, more: &str) -> String {
    let form = format!("Action=CreateTargetGroup&Name={name}&Protocol=TCP&Port=80{more}");
    encode(&ok(world, &form).await.one("TargetGroupArn"))
}

/// Makes a load balancer in `zone-a` and `zone-b`, and gives its ARN, encoded.
pub(crate) async fn load_balancer(world: &World, name: &str) -> String {
    let form = format!(
        "Action=CreateLoadBalancer&Name={name}&Subnets.member.1=subnet-zone-a\
         &Subnets.member.2=zone-b"
    );
    encode(&ok(world, &form).await.one("LoadBalancerArn"))
}

/// Makes a listener that forwards to `group`, and gives its ARN, encoded.
pub(crate) async fn listener(world: &World, of: &str, port: u16, group: &str) -> String {
    let form = format!(
        "Action=CreateListener&LoadBalancerArn={of}&Protocol=TCP&Port={port}\
         &DefaultActions.member.1.Type=forward&DefaultActions.member.1.TargetGroupArn={group}"
    );
    encode(&ok(world, &form).await.one("ListenerArn"))
}

/// The ARN of a group that is there, encoded.
pub(crate) async fn arn_of(world: &World, name: &str) -> String {
    let form = format!("Action=DescribeTargetGroups&Names.member.1={name}");
    encode(&ok(world, &form).await.one("TargetGroupArn"))
}
