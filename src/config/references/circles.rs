//! Circles in a graph, for groups that turn to each other.

use crate::config::tree::Pos;

/// Every circle that is found on one walk through the graph, with the place of the edge that closes it.
pub(super) fn circles(edges: &[Vec<(usize, Pos)>]) -> Vec<(Vec<usize>, Pos)> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        Not,
        OnTheWay,
        Done,
    }
    let mut seen = vec![Seen::Not; edges.len()];
    let mut found = Vec::new();
    for start in 0..edges.len() {
        if seen[start] != Seen::Not {
            continue;
        }
        seen[start] = Seen::OnTheWay;
        let mut way = vec![(start, edges[start].iter())];
        while let Some((node, rest)) = way.last_mut() {
            match rest.next() {
                None => {
                    seen[*node] = Seen::Done;
                    way.pop();
                }
                Some((to, at)) if seen[*to] == Seen::OnTheWay => {
                    let from = way.iter().skip_while(|(node, _)| node != to);
                    found.push((from.map(|(node, _)| *node).collect(), *at));
                }
                Some((to, _)) if seen[*to] == Seen::Not => {
                    seen[*to] = Seen::OnTheWay;
                    way.push((*to, edges[*to].iter()));
                }
                Some(_) => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_circle_is_found_once() {
        type Found = &'static [&'static [usize]];
        let cases: &[(&[&[usize]], Found)] = &[
            (&[&[1], &[2], &[]], &[]),
            (&[&[1], &[0]], &[&[0, 1]]),
            (&[&[1, 2], &[2], &[]], &[]),
            (&[&[1], &[2], &[1]], &[&[1, 2]]),
            (&[&[1], &[2], &[0, 1]], &[&[0, 1, 2], &[1, 2]]),
            (&[&[], &[2], &[3], &[1]], &[&[1, 2, 3]]),
        ];
        for (graph, expected) in cases {
            let edges: Vec<Vec<(usize, Pos)>> = graph
                .iter()
                .map(|edges| edges.iter().map(|to| (*to, Pos::default())).collect())
                .collect();
            let found: Vec<Vec<usize>> = circles(&edges).into_iter().map(|(c, _)| c).collect();
            assert_eq!(found, *expected, "{graph:?}");
        }
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let last = 200_000;
        let edge = |i: usize| vec![((i + 1) % last, Pos::default())];
        let edges: Vec<_> = (0..last).map(edge).collect();
        assert_eq!(circles(&edges)[0].0.len(), last);
    }
}
