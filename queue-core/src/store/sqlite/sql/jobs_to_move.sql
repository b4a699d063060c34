-- jobs_to_move: the jobs of a lane that have not ended and are in the scope of a budget, or are
-- not. None is in the scope of a budget that is not there.
select job.id
  from job
  left join budget on budget.name = :budget
 where job.lane = :lane
   and job.finished_at is null
   and :covered = (
         budget.name is not null
         and (budget.queue is null or budget.queue = job.queue)
         and (budget.tag_key is null
              or exists (select 1
                           from tag
                          where tag.job = job.id
                            and tag.key = budget.tag_key
                            and (budget.tag_value is null or tag.value = budget.tag_value)))
         and exists (select 1
                       from job_body
                      where job_body.job = job.id
                        and (iif(json_valid(job_body.command), job_body.command ->> '$.agent', null)
                             is not null
                             or iif(json_valid(job_body.options), job_body.options ->> '$.agent', null)
                             is not null)));
