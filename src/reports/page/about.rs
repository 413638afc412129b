//! What the run was, so that it can be repeated.

use super::super::Report;
use super::super::words::escape;
use super::html::{Table, Width, cell, section};

fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut table = Table::of_words();
    let mut rows = 0;
    for (name, value) in pairs {
        table.row(&[cell(name), cell(value)]);
        rows += 1;
    }
    if rows == 0 { String::new() } else { table.finish() }
}

pub(super) fn policy(report: &Report<'_>) -> String {
    let policy = report.policy;
    let mut body = pairs(policy.parameters.iter().map(|(name, value)| (name.as_str(), value.to_string())));
    if !policy.source.is_empty() {
        body += &format!("<h3>Source</h3><pre tabindex=\"0\">{}</pre>\n", escape(policy.source));
    }
    section(&format!("Policy {}", policy.name), Width::Long, &body)
}

pub(super) fn settings(report: &Report<'_>) -> String {
    let list = |list: &'_ [(String, String)]| pairs(list.iter().map(|(name, value)| (name.as_str(), value.clone())));
    section("Settings", Width::Half, &list(report.settings))
        + &section("What trading costs", Width::Half, &list(report.costs))
}

pub(super) fn data(report: &Report<'_>) -> String {
    if report.data.is_empty() {
        return String::new();
    }
    let lines: String = report.data.iter().map(|line| format!("<li>{}</li>", escape(line))).collect();
    section("Data", Width::Wide, &format!("<ul>{lines}</ul>\n"))
}
