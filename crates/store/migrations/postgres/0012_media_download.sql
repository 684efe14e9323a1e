-- Which files a device fetches of the messages that come in; NULL is all of them, at once.
ALTER TABLE devices ADD COLUMN media_download TEXT;
