//! Real workers and real signals: what happens to jobs when processes come and go.
