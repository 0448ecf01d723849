// Written by `stdb-lua generate`. Changes here are lost with the next run: change the module instead.

/* eslint-disable */
/* tslint:disable */
import type { InferTypeOfParams as __InferTypeOfParams } from 'spacetimedb';
import type SendMessageReducer from '../send_message_reducer';
import type SetNameReducer from '../set_name_reducer';

export type SendMessageParams = __InferTypeOfParams<typeof SendMessageReducer>;
export type SetNameParams = __InferTypeOfParams<typeof SetNameReducer>;
