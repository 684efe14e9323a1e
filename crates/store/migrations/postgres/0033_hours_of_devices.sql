-- expands
-- The hours of one device, among many of its account.
CREATE INDEX message_hours_of_device ON message_hours (account_id, device_id, hour);
