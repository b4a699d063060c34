-- covering_budgets: the budgets of whose scope a job is. Only jobs that call agents are in any.
select budget.name
  from budget
 where (budget.queue is null
        or budget.queue = (select queue from job where id = :job))
   and (budget.tag_key is null
        or exists (select 1
                     from tag
                    where tag.job = :job
                      and tag.key = budget.tag_key
                      and (budget.tag_value is null or tag.value = budget.tag_value)))
   and exists (select 1
                 from job_body
                where job_body.job = :job
                  and (iif(json_valid(job_body.command), job_body.command ->> '$.agent', null)
                             is not null
                       or iif(json_valid(job_body.options), job_body.options ->> '$.agent', null)
                             is not null))
 order by budget.name;
