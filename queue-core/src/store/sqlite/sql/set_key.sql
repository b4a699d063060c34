-- set_key: set how many jobs with a concurrency key may run at once.
-- Changes one row.
insert into concurrency_key (key, places)
values (:key, :places)
on conflict do update set places = excluded.places;
