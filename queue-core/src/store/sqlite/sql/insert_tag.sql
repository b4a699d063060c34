-- insert_tag: label a job; a label of that key is replaced.
-- Changes one row.
insert into tag (job, key, value)
values (:job, :key, :value)
on conflict do update set value = excluded.value;
