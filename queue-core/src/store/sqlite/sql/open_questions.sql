-- open_questions: what jobs ask that have not ended and nobody has answered, the longest asked first.
select question.job,
       job.name,
       job.state,
       question.number,
       question.epoch,
       question.text,
       question.choices,
       question.asked_at,
       question.answer,
       question.answered_at,
       question.answered_by,
       question.is_taken,
       question.is_past
  from question
  join job on job.id = question.job
 where question.answer is null
   and question.is_past = 0
   and question.epoch = job.epoch
   and (job.asked_at is not null or job.state = 'in_progress')
 order by question.asked_at, question.job;
