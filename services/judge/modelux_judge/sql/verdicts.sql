-- shown: how many verdicts of a run the log shows
SELECT uniqExact(row, presented) AS verdicts FROM judge_verdicts WHERE judge_run_id = {id:String}
