//! Orders a shelf so that its items differ: maximal marginal relevance.

/// Orders `ranked` (best first) anew by maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998): the next item
/// is the one with the largest
///
/// `(1 - diversity) * relevance - diversity * likeness`
///
/// where *relevance* is its score, moved and scaled so that the best of `ranked` has 1 and the worst 0, and *likeness*
/// the largest cosine between its vector and one of an item before it, 0 where that is negative. The first item stays
/// first; ties go to whoever was before. `diversity` 0 leaves the order as it is, 1 looks at nothing but likeness.
/// Scores stay as they are, so they no longer fall along the shelf.
///
/// `vector` appends an item's vector; all have one length. Costs `n² * dim / 2` multiplications.
pub fn diversify(ranked: &mut [(u32, f32)], diversity: f32, vector: impl Fn(u32, &mut Vec<f32>)) {
    if ranked.len() < 3 || diversity <= 0.0 {
        return;
    }
    let vectors: Vec<Vec<f32>> = ranked.iter().map(|&(item, _)| unit(item, &vector)).collect();
    let (best, worst) = (ranked[0].1, ranked.iter().map(|x| x.1).fold(f32::INFINITY, f32::min));
    let span = (best - worst).max(f32::MIN_POSITIVE);
    let relevance: Vec<f32> = ranked.iter().map(|x| (x.1 - worst) / span).collect();
    let mut likeness = vec![0.0_f32; ranked.len()];
    let mut left: Vec<usize> = (1..ranked.len()).collect();
    let mut order = vec![0];
    while !left.is_empty() {
        let newest = &vectors[order[order.len() - 1]];
        let (mut choice, mut gain) = (0, f32::NEG_INFINITY);
        for (at, &candidate) in left.iter().enumerate() {
            likeness[candidate] = likeness[candidate].max(super::dot(newest, &vectors[candidate]));
            let own = (1.0 - diversity) * relevance[candidate] - diversity * likeness[candidate];
            if own > gain {
                (choice, gain) = (at, own);
            }
        }
        // Not swapped: who comes first wins a tie.
        order.push(left.remove(choice));
    }
    let before = ranked.to_vec();
    ranked.iter_mut().zip(order).for_each(|(place, at)| *place = before[at]);
}

fn unit(item: u32, vector: &impl Fn(u32, &mut Vec<f32>)) -> Vec<f32> {
    let mut out = Vec::new();
    vector(item, &mut out);
    let norm = super::dot(&out, &out).sqrt().max(f32::MIN_POSITIVE);
    out.iter_mut().for_each(|x| *x /= norm);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items 1 and 2 point one way, 3 and 4 another, 5 the opposite of the first.
    fn vector(item: u32, out: &mut Vec<f32>) {
        out.extend_from_slice(match item {
            1 => &[2.0, 0.0],
            2 => &[1.0, 0.01],
            3 => &[0.0, 3.0],
            4 => &[0.01, 1.0],
            _ => &[-1.0, 0.0],
        });
    }

    fn ordered(diversity: f32) -> Vec<u32> {
        let mut ranked = vec![(1, 9.0), (2, 8.0), (3, 7.0), (4, 6.0), (5, 1.0)];
        diversify(&mut ranked, diversity, vector);
        ranked.iter().map(|x| x.0).collect()
    }

    #[test]
    fn without_diversity_scores_decide_and_with_it_likeness_does() {
        assert_eq!(ordered(0.0), [1, 2, 3, 4, 5]);
        assert_eq!(ordered(0.1), [1, 2, 3, 4, 5], "9 in 10 of relevance keep the best together");
        assert_eq!(ordered(0.5), [1, 3, 5, 2, 4]);
        assert_eq!(ordered(1.0)[..3], [1, 3, 5]);
    }

    /// The same by the definition, looked up anew at every place.
    fn by_hand(diversity: f32) -> Vec<u32> {
        let ranked = [(1, 9.0), (2, 8.0), (3, 7.0), (4, 6.0), (5, 1.0_f32)];
        let mut out: Vec<u32> = vec![1];
        while out.len() < ranked.len() {
            let gain = |&(item, score): &(u32, f32)| {
                let like = |other: u32| super::super::dot(&unit(item, &vector), &unit(other, &vector));
                let most = out.iter().map(|&o| like(o)).fold(0.0_f32, f32::max);
                (1.0 - diversity) * (score - 1.0) / 8.0 - diversity * most
            };
            // Reversed, since the last of equals is the maximum.
            let left = ranked.iter().rev().filter(|x| !out.contains(&x.0));
            let next = left.max_by(|a, b| gain(a).total_cmp(&gain(b))).unwrap().0;
            out.push(next);
        }
        out
    }

    #[test]
    fn it_is_the_definition_and_loses_nothing() {
        for diversity in [0.2, 0.35, 0.5, 0.8, 1.0] {
            assert_eq!(ordered(diversity), by_hand(diversity), "{diversity}");
        }
        let mut short = vec![(4, 1.0), (3, 1.0)];
        diversify(&mut short, 1.0, vector);
        assert_eq!(short, [(4, 1.0), (3, 1.0)]);
    }
}
