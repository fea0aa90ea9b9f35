-- Whether anything has been registered of the persons behind some numbers after a moment.
SELECT EXISTS (
    SELECT FROM citizen_number JOIN register USING (citizen_id) JOIN register_history h USING (kind, id)
    WHERE number = ANY(%(numbers)s::text[]) AND h.put_at > %(at)s)
