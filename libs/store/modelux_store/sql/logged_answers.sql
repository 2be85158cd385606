-- What some requests asked, what was answered and why by whom.
SELECT request_id, outcome, trace, request_body, response_body FROM requests_once
WHERE organization_id = {organization_id:String} AND request_id IN {request_ids:Array(String)}
