-- move_to_lane: put jobs into another lane. Takes a JSON array.
-- Changes as many rows as there are jobs.
update job
   set lane = :lane
 where id in (select value from json_each(:jobs));
