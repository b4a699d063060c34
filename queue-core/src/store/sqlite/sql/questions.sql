-- questions: all that a job asked, oldest first.
select number, epoch, text, choices, asked_at, answer, answered_at, answered_by, is_taken, is_past
  from question
 where job = :job
 order by number;
