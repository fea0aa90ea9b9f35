-- Publishers tell out of their own memory when the log of reads was last found whole.
DROP TABLE access_verified;
