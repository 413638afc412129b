//! The fusion model of levibot.

fn main() {
    let booster = lightgbm3::Booster::from_string("");
    let t = tch::Tensor::zeros([2], (tch::Kind::Float, tch::Device::Cpu));
    assert!(booster.is_err() && t.size() == [2]);
}
