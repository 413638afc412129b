use super::samples::{Sample, outcome};
use super::*;
#[test]
fn look() {
    let dir = Path::new("/tmp/px/report");
    let sample = Sample::chosen(outcome(20_000, true, 0.00003));
    let begun = std::time::Instant::now();
    write(dir, &sample.report()).unwrap();
    eprintln!("{:?}", begun.elapsed());
    let sample = Sample::plain(outcome(1, true, 0.0));
    write(Path::new("/tmp/px/one"), &sample.report()).unwrap();
}
