-- insert_dependency: make a job come after another.
-- Changes one row; the same parent named twice counts once, as named last.
insert into dependency (job, parent, needs, met)
values (:job, :parent, :needs, :met)
on conflict do update set needs = excluded.needs, met = excluded.met;
