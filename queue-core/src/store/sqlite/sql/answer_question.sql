-- answer_question: note the answer to a question that has none.
-- Changes one row, or none when it was answered before.
update question
   set answer = :answer,
       answered_at = :now,
       answered_by = :by,
       is_taken = :is_taken
 where job = :job
   and number = :number
   and answer is null;
