//! Every state that can be reached, breadth first, and what is wrong with the first bad one.
//!
//! The tests call it once per variant of the rules. What always holds: a violation comes with the
//! shortest path to it, and a search that ends has seen all there is.

use crate::world::{Rules, World};
use std::collections::{HashMap, VecDeque};

/// What came of a search.
#[derive(Debug)]
pub(crate) struct Searched {
    /// How many states there are.
    pub(crate) states: usize,
    /// What is wrong, and how one gets there; none where nothing is.
    pub(crate) violation: Option<(&'static str, Vec<String>)>,
}

/// The states that were met, each with the step that led to it first.
struct Graph {
    numbers: HashMap<World, usize>,
    states: Vec<World>,
    came_by: Vec<Option<(usize, String)>>,
    /// For each state those from which a step without a mishap leads to it.
    before: Vec<Vec<usize>>,
}

/// Looks at every state that these rules allow.
pub(crate) fn search(rules: Rules) -> Searched {
    let mut graph = Graph {
        numbers: HashMap::new(),
        states: Vec::new(),
        came_by: Vec::new(),
        before: Vec::new(),
    };
    let (first, _) = graph.number(World::new(), None);
    let mut ahead = VecDeque::from([first]);
    while let Some(from) = ahead.pop_front() {
        if let Some(wrong) = graph.states[from].violation(rules) {
            return graph.found(from, wrong);
        }
        for step in graph.states[from].steps(rules) {
            let (to, is_new) = graph.number(step.to, Some((from, step.name)));
            if !step.is_mishap {
                graph.before[to].push(from);
            }
            if is_new {
                ahead.push_back(to);
            }
        }
    }
    match graph.stuck() {
        Some(stuck) => graph.found(stuck, "the job is stuck for ever"),
        None => Searched {
            states: graph.states.len(),
            violation: None,
        },
    }
}

impl Graph {
    /// The number of a state, and whether it was not met before.
    fn number(&mut self, world: World, came_by: Option<(usize, String)>) -> (usize, bool) {
        if let Some(number) = self.numbers.get(&world) {
            return (*number, false);
        }
        let number = self.states.len();
        self.numbers.insert(world, number);
        self.states.push(world);
        self.came_by.push(came_by);
        self.before.push(Vec::new());
        (number, true)
    }

    /// A state from which no steps without mishaps lead to the end of the job.
    fn stuck(&self) -> Option<usize> {
        let mut ends = vec![false; self.states.len()];
        let mut ahead: Vec<usize> = (0..self.states.len())
            .filter(|number| self.states[*number].is_ended())
            .collect();
        while let Some(number) = ahead.pop() {
            if !std::mem::replace(&mut ends[number], true) {
                ahead.extend(&self.before[number]);
            }
        }
        ends.iter().position(|ends| !ends)
    }

    fn found(&self, mut at: usize, wrong: &'static str) -> Searched {
        let mut path = vec![format!("{:?}", self.states[at])];
        while let Some((from, step)) = &self.came_by[at] {
            path.push(step.clone());
            at = *from;
        }
        path.reverse();
        Searched {
            states: self.states.len(),
            violation: Some((wrong, path)),
        }
    }
}
