-- remove_empty_lanes: drop lanes that no job belongs to any more.
-- Changes at most as many rows as jobs were removed.
delete from lane
 where id in (select value from json_each(:lanes))
   and not exists (select 1 from job where job.lane = lane.id);
