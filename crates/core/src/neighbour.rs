//! Simple methods that a trained model has to beat: VSKNN, item transitions and popularity.
//!
//! * VSKNN: Ludewig & Jannach, *Evaluation of session-based recommendation algorithms*
//!   (UMUAI 2018), with linear session weights and inverse document frequency.
//! * Item transitions: "sequential rules" of the same paper.
//!
//! All of them give one score per item, `scores[i]` for item `i + 1`.

mod log;
mod transitions;
mod vsknn;

pub use log::SessionLog;
pub use transitions::Transitions;
pub use vsknn::{Vsknn, VsknnOptions, VsknnScratch};

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> SessionLog {
        let mut log = SessionLog::new();
        log.push(&[1, 2, 3]);
        log.push(&[1, 2, 4]);
        log.push(&[5, 6]);
        log
    }

    #[test]
    fn neighbours_share_items() {
        let knn = Vsknn::new(log(), 6, VsknnOptions::default());
        let mut scores = vec![0.0; 6];
        knn.score(&[1, 2], None, &mut VsknnScratch::default(), &mut scores);
        assert!(scores[2] > 0.0 && scores[3] > 0.0);
        assert_eq!((scores[4], scores[5]), (0.0, 0.0));
    }

    #[test]
    fn an_excluded_session_does_not_vote() {
        let knn = Vsknn::new(log(), 6, VsknnOptions::default());
        let mut scores = vec![0.0; 6];
        let mut scratch = VsknnScratch::default();
        knn.score(&[1, 2], Some(0), &mut scratch, &mut scores);
        assert_eq!(scores[2], 0.0);
        assert!(scores[3] > 0.0);
        knn.score(&[1, 2], None, &mut scratch, &mut scores);
        assert!(scores[2] > 0.0, "scratch must be clean between calls");
    }

    #[test]
    fn transitions_follow_order() {
        let t = Transitions::new(&log(), 6);
        let mut scores = vec![0.0; 6];
        t.score(&[2], &mut scores);
        assert_eq!(scores, [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
        t.score(&[], &mut scores);
        assert!(scores.iter().all(|&s| s == 0.0));
    }
}
