//! CloudFormation's intrinsic functions, as far as a value is known without a stack.
//!
//! Source: documented,
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html>. That a
//! reference to a resource that does not exist here is the resource's logical name is as `sam local` does it.

use std::collections::BTreeMap;

use super::super::document::{Entry, Node, Scalar, Value};
use super::super::reader::Source;

/// What references can be to.
#[derive(Debug)]
pub(super) struct Resolver<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) region: &'a str,
    pub(super) account_id: &'a str,
    /// The template's parameters with their values, if they have one.
    pub(super) parameters: BTreeMap<&'a str, Option<String>>,
    /// The resources by their logical names; of functions the function's name.
    pub(super) resources: BTreeMap<&'a str, Option<String>>,
    pub(super) mappings: Option<&'a Node>,
}

/// The name and the argument of a function, where the node is one.
pub(super) fn function(node: &Node) -> Option<(&str, &Node)> {
    match node.entries()? {
        [Entry { key, node, .. }] if key == "Ref" || key == "Condition" || key.starts_with("Fn::") => Some((key, node)),
        _ => None,
    }
}

impl Resolver<'_> {
    /// The node with its functions' values in their places. How deep it is nested is bounded by whoever read it.
    pub(super) fn resolve(&self, node: &Node) -> Node {
        let value = match &node.value {
            Value::Null | Value::Scalar(..) | Value::Unknown(_) => node.value.clone(),
            Value::List(nodes) => Value::List(nodes.iter().map(|node| self.resolve(node)).collect()),
            Value::Table(entries) => {
                if let Some((name, argument)) = function(node) {
                    self.call(name, argument).unwrap_or_else(Value::Unknown)
                } else {
                    let resolved = |entry: &Entry| Entry {
                        node: self.resolve(&entry.node),
                        ..entry.clone()
                    };
                    Value::Table(entries.iter().map(resolved).collect())
                }
            }
        };
        Node { value, at: node.at }
    }

    /// The value of a function, or why it is not known.
    fn call(&self, name: &str, argument: &Node) -> Result<Value, String> {
        let short = name.strip_prefix("Fn::").unwrap_or(name);
        let wrong = || format!("`!{short}` has not the form that it has on the service");
        match name {
            "Ref" => {
                let name = argument.as_text().ok_or_else(wrong)?;
                self.reference(name, argument).map(plain)
            }
            "Fn::GetAtt" => {
                let (resource, attribute) = match &argument.value {
                    Value::List(parts) => match &parts[..] {
                        [resource, attribute] => resource.as_text().zip(attribute.as_text()).ok_or_else(wrong)?,
                        _ => return Err(wrong()),
                    },
                    _ => argument
                        .as_text()
                        .and_then(|text| text.split_once('.'))
                        .ok_or_else(wrong)?,
                };
                self.attribute(resource, attribute).map(plain)
            }
            "Fn::Sub" => {
                let (text, own) = match &argument.value {
                    Value::List(parts) => match &parts[..] {
                        [text, own] => (text, own.entries().unwrap_or_default()),
                        _ => return Err(wrong()),
                    },
                    _ => (argument, &[][..]),
                };
                let text = text.as_text().ok_or_else(wrong)?;
                self.substitute(text, own, argument).map(plain)
            }
            "Fn::Join" => {
                let Value::List(parts) = &argument.value else {
                    return Err(wrong());
                };
                let [separator, values] = &parts[..] else {
                    return Err(wrong());
                };
                let separator = separator.as_text().ok_or_else(wrong)?;
                let Value::List(values) = self.resolve(values).value else {
                    return Err(wrong());
                };
                let texts = values.iter().map(|value| known_text(value).ok_or_else(wrong)?);
                let texts: Vec<String> = texts.collect::<Result<_, String>>()?;
                Ok(plain(texts.join(separator)))
            }
            "Fn::FindInMap" => {
                let Value::List(keys) = self.resolve(argument).value else {
                    return Err(wrong());
                };
                let mut found = self.mappings;
                for key in keys.iter().take(3) {
                    let key = known_text(key).ok_or_else(wrong)??;
                    found = found.and_then(|found| found.get(&key));
                }
                match found.map(|found| &found.value) {
                    Some(value @ (Value::Scalar(..) | Value::List(_))) => Ok(value.clone()),
                    _ => Err("`!FindInMap` finds nothing in the mappings".to_owned()),
                }
            }
            _ => Err(format!("`!{short}` is not worked out here")),
        }
    }

    fn reference(&self, name: &str, argument: &Node) -> Result<String, String> {
        match name {
            "AWS::Region" => return Ok(self.region.to_owned()),
            "AWS::AccountId" => return Ok(self.account_id.to_owned()),
            "AWS::Partition" => return Ok("aws".to_owned()),
            "AWS::URLSuffix" => return Ok("amazonaws.com".to_owned()),
            "AWS::StackName" => return Ok("local".to_owned()),
            _ => {}
        }
        if let Some(value) = self.parameters.get(name) {
            return value.clone().ok_or_else(|| {
                format!(
                    "the parameter `{name}` has no default; give it a value in lambox.toml, in `[template.parameters]`"
                )
            });
        }
        match self.resources.get(name) {
            Some(Some(function)) => Ok(function.clone()),
            Some(None) => {
                let message = format!("`{name}` is a resource that is not made here; a reference to it is its name");
                self.source.ignore(argument.at, message);
                Ok(name.to_owned())
            }
            None => Err(format!("there is no parameter and no resource `{name}`")),
        }
    }

    fn attribute(&self, resource: &str, attribute: &str) -> Result<String, String> {
        match (self.resources.get(resource), attribute) {
            (Some(Some(function)), "Arn") => Ok(format!(
                "arn:aws:lambda:{}:{}:function:{function}",
                self.region, self.account_id
            )),
            (Some(_), _) => Err(format!("`{resource}.{attribute}` is known only of what is deployed")),
            (None, _) => Err(format!("there is no resource `{resource}`")),
        }
    }

    fn substitute(&self, text: &str, own: &[Entry], argument: &Node) -> Result<String, String> {
        let mut result = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            result.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                return Err("a `${` has no `}` in `!Sub`".to_owned());
            };
            rest = after;
            if let Some(literal) = name.strip_prefix('!') {
                for part in ["${", literal, "}"] {
                    result.push_str(part);
                }
                continue;
            }
            let name = name.trim();
            if let Some(entry) = own.iter().find(|entry| entry.key == name) {
                let value = self.resolve(&entry.node);
                let text = known_text(&value).unwrap_or_else(|| Err(format!("`{name}` of `!Sub` is no text")))?;
                result.push_str(&text);
            } else if let Some((resource, attribute)) = name.split_once('.') {
                result.push_str(&self.attribute(resource, attribute)?);
            } else {
                result.push_str(&self.reference(name, argument)?);
            }
        }
        result.push_str(rest);
        Ok(result)
    }
}

/// The text of a scalar, or why it is not known; none where it is something else.
fn known_text(node: &Node) -> Option<Result<String, String>> {
    match &node.value {
        Value::Scalar(text, _) => Some(Ok(text.clone())),
        Value::Unknown(why) => Some(Err(why.clone())),
        Value::Null | Value::List(_) | Value::Table(_) => None,
    }
}

const fn plain(text: String) -> Value {
    Value::Scalar(text, Scalar::Plain)
}
