-- end_attempt: write how an attempt ended, if its lease still stands.
-- Changes one row, or none when the attempt has ended before.
update attempt
   set ended_at = :ended_at,
       class = :class,
       counted = :counted,
       exit_code = :exit_code,
       signal = :signal,
       message = :message,
       rule = :rule,
       evidence = :evidence,
       proof = :proof,
       user_ms = :user_ms,
       system_ms = :system_ms,
       max_rss_kib = :max_rss_kib,
       read_bytes = :read_bytes,
       written_bytes = :written_bytes,
       memory_peak_bytes = :memory_peak_bytes
 where job = :job
   and epoch = :epoch
   and ended_at is null;
