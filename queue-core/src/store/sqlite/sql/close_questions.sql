-- close_questions: what was asked so far is no matter of the attempts to come.
update question
   set is_past = 1
 where job = :job
   and is_past = 0;
