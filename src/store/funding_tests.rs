//! Payments of funding in the tables.

use levibot_core::domain::Funding;

use super::*;

#[tokio::test]
async fn funding_is_in_the_tables_once_and_a_part_of_what_a_symbol_earned() {
    let Record::Started { run, timeframe, config_hash, mut setup } = money().remove(0) else { unreachable!() };
    setup.kind = AccountKind::Linear;
    let paid = |hours: i64, amount: &str| {
        let (ts, mark, amount) = (Ts::from_secs(3_600 * hours), "100".parse().unwrap(), amount.parse().unwrap());
        Record::Funding { funding: Funding { symbol: symbol(), ts, rate: 0.0001, mark, amount } }
    };
    let records = [
        Record::Started { run, timeframe, config_hash, setup },
        order(1, Side::Buy, Leg::Entry),
        fill(1, 1, Side::Buy, "100"),
        paid(8, "-0.015"),
        paid(16, "0.005"),
    ];
    let mut state = State::open(Ts::EPOCH, &records[0]).unwrap();
    records[1..].iter().for_each(|record| state.apply(Ts::EPOCH, record).unwrap());
    let folder = Folder::new(&lines(&records));
    let (store, mut projector) = folder.projector().await;
    projector.catch_up().await.unwrap();
    let dumped = dump(&store).await;
    for _ in 0..2 {
        let (position, book) = (store.positions().await.unwrap().remove(0), &state.books()[0]);
        let ours = [book.funding(), book.fees(), book.net_realised()].map(|money| money.to_string());
        assert_eq!([position.funding, position.fees, position.net_pnl], ours);
        assert_eq!(ours, ["0.01", "0.1", "-0.11"]);
        let rows: Vec<(i64, f64, String)> =
            sqlx::query_as("SELECT seq, rate, amount FROM funding ORDER BY seq").fetch_all(&store.pool).await.unwrap();
        assert_eq!(rows, [(4, 0.0001, "-0.015".to_owned()), (5, 0.0001, "0.005".to_owned())]);
        projector.rebuild().await.unwrap();
        assert_eq!(dump(&store).await, dumped);
    }
}
