// Written by `stdb-lua generate`. Changes here are lost with the next run: change the module instead.

/* eslint-disable */
/* tslint:disable */
import { t as __t } from 'spacetimedb';

export default {
  name: __t.string(),
};
