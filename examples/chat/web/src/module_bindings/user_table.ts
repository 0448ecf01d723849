// Written by `stdb-lua generate`. Changes here are lost with the next run: change the module instead.

/* eslint-disable */
/* tslint:disable */
import { t as __t } from 'spacetimedb';

export default __t.row({
  identity: __t.identity().primaryKey(),
  name: __t.option(__t.string()),
  online: __t.bool(),
});
