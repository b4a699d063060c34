-- last_question: what a job asked last.
-- Gives one row, or none when it never asked anything.
select number, epoch, text, choices, asked_at, answer, answered_at, answered_by, is_taken, is_past
  from question
 where job = :job
 order by number desc
 limit 1;
