//! Forecasts depend on the question alone.

use levibot_core::forecast::{INPUTS, WINDOW};

use super::super::loss::ordered_numbers;
use super::fixtures::{hasty, input, samples, symbol};
use crate::dataset::{Sample, Table};
use crate::tft::{Tft, TftError, TftInput, TftOutput};

fn bits(output: &TftOutput) -> [u64; 4] {
    let [low, middle, high] = output.quantiles;
    [output.prob_up, low, middle, high].map(f64::to_bits)
}

/// Forecasts in batches of one size, in an order.
fn forecasts(table: &Table, model: &Tft, asked: &[Sample], size: usize) -> Vec<[u64; 4]> {
    let inputs: Vec<TftInput<'_>> = asked.iter().map(|sample| input(table, *sample)).collect();
    inputs.chunks(size).flat_map(|batch| model.predict(batch).unwrap()).map(|output| bits(&output)).collect()
}

#[test]
fn the_bits_of_a_forecast_depend_neither_on_its_batch_nor_on_what_was_asked_before() {
    for (hidden, heads, horizon) in [(5, 1, 1), (16, 2, 12)] {
        let (table, model) = hasty(hidden, heads, horizon);
        let dir = tempfile::tempdir().unwrap();
        model.save(dir.path()).unwrap();
        let all = samples(&table, 0.0, 1.0);
        let asked: Vec<Sample> = all.iter().copied().step_by(all.len() / 120).take(120).collect();
        assert_eq!(asked.len(), 120);
        let alone: Vec<[u64; 4]> =
            asked.iter().map(|sample| forecasts(&table, &Tft::load(dir.path()).unwrap(), &[*sample], 1)[0]).collect();
        for size in [1, 5, 15, 16, 33] {
            let fresh = Tft::load(dir.path()).unwrap();
            assert_eq!(forecasts(&table, &fresh, &asked, size), alone, "hidden {hidden}, batches of {size}");
            let mut backwards = asked.clone();
            backwards.reverse();
            let mut again = forecasts(&table, &fresh, &backwards, size);
            again.reverse();
            assert_eq!(again, alone, "hidden {hidden}, batches of {size}, all rows known");
        }
    }
}

#[test]
fn forecasts_are_what_the_network_that_was_trained_says() {
    for (hidden, heads, horizon) in [(8, 2, 4), (5, 1, 1), (12, 4, 12)] {
        let (table, model) = hasty(hidden, heads, horizon);
        for sample in samples(&table, 0.0, 1.0).into_iter().step_by(37) {
            let input = input(&table, sample);
            let (said, _) = tch::no_grad(|| model.computed(&input)).unwrap();
            let numbers = |tensor: tch::Tensor| Vec::<f32>::try_from(tensor.flatten(0, -1)).unwrap();
            let raw: [f32; 3] = numbers(said.quantiles.select(1, -1)).try_into().unwrap();
            let scale = model.inputs.scales(&input.window[(WINDOW - 1) * INPUTS..]).last().unwrap();
            let output = model.predict(&[input]).unwrap()[0];
            let logit = (output.prob_up / (1.0 - output.prob_up)).ln();
            assert!((logit - f64::from(numbers(said.direction)[0])).abs() < 2e-5, "hidden {hidden}");
            for (quantile, wanted) in output.quantiles.iter().zip(ordered_numbers(raw)) {
                assert!((quantile / scale - wanted).abs() < 2e-5, "hidden {hidden}: {quantile} {wanted}");
            }
        }
    }
}

#[test]
fn only_the_last_rows_of_the_window_and_the_named_columns_are_read() {
    let (table, model) = hasty(4, 1, 4);
    let sample = samples(&table, 0.5, 1.0)[3];
    let asked = |window: &[f32]| bits(&model.predict(&[TftInput { window, ..input(&table, sample) }]).unwrap()[0]);
    let window = table.window(sample).to_vec();
    let unchanged = asked(&window);
    let mut changes = 0;
    for row in [0, WINDOW - 11, WINDOW - 10, WINDOW - 1] {
        for (column, id) in levibot_core::forecast::input_ids().iter().enumerate() {
            let mut other = window.clone();
            other[row * INPUTS + column] += 0.5;
            // The volatility scales quantiles, so that the last row's is read whether it is an input or not.
            let scales = *id == levibot_core::features::FeatureId::EwmaVolatility && row == WINDOW - 1;
            let read = row >= WINDOW - 10 && model.columns().contains(id);
            changes += usize::from(read);
            assert_eq!(asked(&other) != unchanged, read || scales, "row {row}, {id:?}");
        }
    }
    assert_eq!(changes, 2 * 6);
}

#[test]
fn a_symbol_that_it_has_not_learnt_from_is_answered_for() {
    let (table, model) = hasty(4, 1, 4);
    let sample = samples(&table, 0.5, 1.0)[0];
    let asked = |name| model.predict(&[TftInput { symbol: symbol(name), ..input(&table, sample) }]).unwrap()[0];
    assert_eq!(model.symbols(), [symbol("AAA"), symbol("BBB")]);
    assert_eq!(asked("NEW"), asked("OTHER"));
    assert_ne!(asked("NEW"), asked("AAA"));
    assert_ne!(asked("BBB"), asked("AAA"));
    assert!((0.0..=1.0).contains(&asked("NEW").prob_up));
}

#[test]
fn windows_that_native_code_must_not_see_are_refused() {
    let (table, model) = hasty(4, 1, 4);
    let sample = samples(&table, 0.5, 1.0)[0];
    let good = input(&table, sample);
    let short = TftInput { window: &good.window[1..], ..good };
    assert!(matches!(model.predict(&[good, short]), Err(TftError::Length { index: 1, .. })));
    assert!(matches!(model.explain(&short), Err(TftError::Length { index: 0, .. })));
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut window = good.window.to_vec();
        window[77] = bad;
        let input = TftInput { window: &window, ..good };
        assert!(matches!(model.predict(&[input]), Err(TftError::NotFinite { index: 0, at: 77 })));
    }
    for huge in [f32::MAX, f32::MIN] {
        let window = vec![huge; WINDOW * INPUTS];
        match model.predict(&[TftInput { window: &window, ..good }]) {
            Ok(outputs) => assert!(outputs[0].quantiles.iter().all(|x| x.is_finite())),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(model.predict(&[]).unwrap().is_empty());
}
